"""The HTTP way in: Flask and waitress over a `Runtime`. No text handling and no models here."""
