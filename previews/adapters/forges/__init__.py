"""The forges behind ports.Forge. They say the same things in nearly the same JSON: answers.py reads it for both."""
