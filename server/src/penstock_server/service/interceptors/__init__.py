"""What happens around every call, one purpose a module; `server` puts them in order."""
