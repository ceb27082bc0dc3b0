"""What a backend needs: webhooks, and the same events to be fetched."""
