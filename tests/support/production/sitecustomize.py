"""Lets a server that is tested see no aiohttp, which is installed for the Python client alone.

python-engineio takes it in where it finds it: a tenth of the time that a start takes.
"""

import sys

sys.modules["aiohttp"] = None  # type: ignore[assignment] # importing it is refused
