"""A signalling and presence server: who is in a room, who was, and how to reach them.

Three layers, each a folder, and imports only ever point downwards:

* ``transport``: how clients reach the server (Flask, Socket.IO, the pages).
* ``domain``: what it decides (plain functions over a database session).
* ``storage``: what it remembers (tables, migrations, the bytes of files).

Beside them stand ``errors`` (raised by the domain, rendered by the transport) and ``config``
(every setting, read once). ``app.py`` at the top of the project puts them together.
"""
