"""Kore's awaitables, on asyncio. None of them knows the server: any asyncio program can use them."""
