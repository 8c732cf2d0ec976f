//! Two images to a patch; image and patch to an image, streaming.
