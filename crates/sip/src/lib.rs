//! SIP, sans-IO: messages, framing, digest, transactions, dialogs and INVITE sessions (RFC 3261 and successors).
