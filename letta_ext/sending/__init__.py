"""What every call goes through: its attempts, the pauses between them, and what makes repeating one safe."""
