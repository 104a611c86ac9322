"""The hands: what touches disk, processes, the store and the gateway on behalf of the workflows."""
