"""How clients reach the server: Socket.IO events, REST routes, uploads and pages."""
