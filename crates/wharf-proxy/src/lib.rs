//! The middle that translates: any data mode towards the client, any towards the server.
