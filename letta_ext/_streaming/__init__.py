"""Event streams: decoding, resumption, accumulation into messages, and cleanup of connections."""
