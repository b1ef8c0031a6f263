//! The call logic, sans-IO: registrar, location, dialplan and the B2BUA.
