"""What trains: routers with numpy, adapters with torch (the `train` extra)."""
