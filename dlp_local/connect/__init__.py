"""Settings that point other programs at `dlp-local serve`."""
