"""What an identifier's vector answers for in the place of another word."""
