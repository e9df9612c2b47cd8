"""Pagination: the state machine that computes list requests, and the common part of sync and async pages."""
