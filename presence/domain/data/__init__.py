"""What peers and rooms keep for their applications: user data, and the data of rooms."""
