def patch(): pass
