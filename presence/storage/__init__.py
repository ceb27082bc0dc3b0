"""What the server remembers: tables and their migrations, and the bytes of uploaded files."""
