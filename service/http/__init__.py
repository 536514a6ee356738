"""The HTTP way in: Flask and gunicorn over a `Runtime`. No text handling and no models here."""
