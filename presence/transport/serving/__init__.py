"""What belongs to gunicorn: its worker, and what it reads of a request before the app is asked."""
