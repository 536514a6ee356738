"""The service: HTTP, command line and batch over `models`."""
