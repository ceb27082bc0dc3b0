"""Long polling by itself: requests that may come twice, their bodies, and clients of old."""
