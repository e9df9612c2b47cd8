"""The generator: reads `spec/openapi.yaml`, writes `generated/letta_api`.

Start at `pipeline.py`: it names the steps in the order they run, one module each.
"""
