"""Kore's awaitables, on asyncio. None knows the server: any asyncio program can use them."""
