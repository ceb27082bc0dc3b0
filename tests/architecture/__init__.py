"""The layers and rooms of the server, what stands outside it, and the rooms of these tests."""
