# Read by `flask`, which finds the app by it. HOST and PORT are settings of the app itself.
FLASK_APP=app.py
