"""Messages between the parent and its children: channels, queues, shared memory."""
