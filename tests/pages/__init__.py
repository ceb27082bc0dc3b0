"""The pages: their text, and what people do with them in a browser."""
