//! The one error type of the agent: what the host can act on, as data.

use std::ffi::CStr;
use std::fmt;
use std::io;

use http::StatusCode;

pub type Result<T> = std::result::Result<T, Error>;

/// Stable codes of the guest protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    Conflict,
    NotADirectory,
    IsADirectory,
    NotEmpty,
    PermissionDenied,
    TooLarge,
    Limit,
    NoSpace,
    CommandNotFound,
    CommandNotExecutable,
    UserNotFound,
    /// Nothing listens there.
    Refused,
    Unreachable,
    Internal,
}

impl Code {
    pub fn name(self) -> &'static str {
        match self {
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::Conflict => "CONFLICT",
            Code::NotADirectory => "NOT_A_DIRECTORY",
            Code::IsADirectory => "IS_A_DIRECTORY",
            Code::NotEmpty => "NOT_EMPTY",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::TooLarge => "TOO_LARGE",
            Code::Limit => "LIMIT",
            Code::NoSpace => "NO_SPACE",
            Code::CommandNotFound => "COMMAND_NOT_FOUND",
            Code::CommandNotExecutable => "COMMAND_NOT_EXECUTABLE",
            Code::UserNotFound => "USER_NOT_FOUND",
            Code::Refused => "REFUSED",
            Code::Unreachable => "UNREACHABLE",
            Code::Internal => "INTERNAL",
        }
    }

    pub fn status(self) -> StatusCode {
        match self {
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::NotFound | Code::CommandNotFound | Code::UserNotFound => StatusCode::NOT_FOUND,
            Code::AlreadyExists
            | Code::Conflict
            | Code::NotADirectory
            | Code::IsADirectory
            | Code::NotEmpty => StatusCode::CONFLICT,
            Code::PermissionDenied | Code::CommandNotExecutable => StatusCode::FORBIDDEN,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::Limit => StatusCode::TOO_MANY_REQUESTS,
            Code::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
            Code::Refused => StatusCode::BAD_GATEWAY,
            Code::Unreachable => StatusCode::GATEWAY_TIMEOUT,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Error {
    pub code: Code,
    pub message: String,
    pub errno: Option<i32>,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error {
            code,
            message: message.into(),
            errno: None,
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(Code::InvalidArgument, message)
    }

    /// The failure of a system call; `what` says what was being done.
    pub fn os(what: impl fmt::Display, errno: i32) -> Self {
        Error {
            code: code_of_errno(errno),
            message: format!("{what}: {}", errno_text(errno)),
            errno: Some(errno),
        }
    }

    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Error::os(what, errno),
            None => Error::new(Code::Internal, format!("{what}: {error}")),
        }
    }

    /// The body of an error answer.
    pub fn to_json(&self) -> Vec<u8> {
        let mut inner = serde_json::json!({ "code": self.code.name(), "message": self.message });
        if let Some(errno) = self.errno {
            inner["errno"] = errno.into();
        }
        serde_json::json!({ "error": inner })
            .to_string()
            .into_bytes()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Error {}

fn code_of_errno(errno: i32) -> Code {
    match errno {
        libc::ENOENT => Code::NotFound,
        libc::EEXIST => Code::AlreadyExists,
        libc::ENOTDIR => Code::NotADirectory,
        libc::EISDIR => Code::IsADirectory,
        libc::ENOTEMPTY => Code::NotEmpty,
        libc::EACCES | libc::EPERM | libc::EROFS => Code::PermissionDenied,
        libc::ENOSPC | libc::EDQUOT => Code::NoSpace,
        libc::EFBIG => Code::TooLarge,
        libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM => Code::Limit,
        libc::ENAMETOOLONG | libc::ELOOP | libc::EINVAL | libc::EXDEV => Code::InvalidArgument,
        libc::ECONNREFUSED => Code::Refused,
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ETIMEDOUT | libc::EADDRNOTAVAIL => {
            Code::Unreachable
        }
        libc::EBUSY | libc::ETXTBSY => Code::Conflict,
        _ => Code::Internal,
    }
}

/// The C library's text, such as "No such file or directory".
pub fn errno_text(errno: i32) -> String {
    let mut buffer = [0 as libc::c_char; 128];
    // SAFETY: the buffer is writable for the length given, and the XSI strerror_r ends it with a NUL.
    let failed = unsafe { libc::strerror_r(errno, buffer.as_mut_ptr(), buffer.len()) } != 0;
    if failed {
        return format!("errno {errno}");
    }
    // SAFETY: strerror_r succeeded, so the buffer holds a NUL-terminated string.
    unsafe { CStr::from_ptr(buffer.as_ptr()) }
        .to_string_lossy()
        .into_owned()
}

/// For `map_err`: names what was being done.
pub trait Context<T> {
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error::io(what, &error))
    }
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|errno| Error::os(what, errno.raw_os_error()))
    }
}
