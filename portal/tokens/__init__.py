"""Tokens of people and programs that speak to the machine door: signed access tokens, refresh tokens in families."""
