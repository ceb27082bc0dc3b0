# Read by `flask run`: the same app on the same address as every other way to start it.
FLASK_APP=app.py
FLASK_RUN_HOST=${HOST:-127.0.0.1}
FLASK_RUN_PORT=${PORT:-3001}
