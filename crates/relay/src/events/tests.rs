//! What a relay makes of what hosts tell, and of their coming and going.
