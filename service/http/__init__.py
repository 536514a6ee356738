"""The HTTP interface: Flask and waitress over a `Runtime`. No text handling and no models here."""
