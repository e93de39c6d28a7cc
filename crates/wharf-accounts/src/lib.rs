//! Who may log in, and which storage that returns
