//! VERBS: every command of RFC 959, 1123, 1639, 2228, 2389, 2428, 2640, 3659, 4217 and 7151, of the MFMT and HASH
//! drafts, and CLNT.
//! One row a verb; the parser, HELP, the rules of the server-PI and the conformance tests read it.

/// One row of [`VERBS`].
#[derive(Debug)]
pub struct Verb {
    /// The word of the command, capitals.
    pub word: &'static str,
    /// Older spellings: the X-forms of RFC 775 (RFC 1123 §4.1.3.1).
    pub aliases: &'static [&'static str],
    /// The form of the command in the notation of RFC 959 §5.3.1, shown by HELP.
    pub syntax: &'static str,
    /// A line that follows the syntax, for tests and documents.
    pub example: &'static str,
    /// Refused with 530 before login.
    pub needs_login: bool,
    /// Does not end the restart marker of REST. RFC 959 §4.1.3 wants the transfer "immediately" after REST, but every
    /// client opens a data connection in between.
    pub keeps_markers: bool,
    /// What becomes of it while data are transferred.
    pub during_transfer: DuringTransfer,
    /// The replies that the RFC lists for it (RFC 959 §5.4 and successors), [`ALWAYS_ALLOWED`] apart.
    pub replies: &'static [u16],
    /// Further replies of ours: the RFC has no code for the case, or servers and clients have agreed on another one.
    pub beyond: &'static [u16],
    /// Where it is specified.
    pub rfc: &'static str,
    /// One line for people.
    pub help: &'static str,
}

/// What a command that arrives during a transfer does (RFC 959 §4.1.3 ABOR, STAT; the rest is ours).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DuringTransfer {
    /// Answered at once.
    Answer,
    /// Ends the transfer.
    Abort,
    /// Kept until the transfer has ended, then answered in order.
    Wait,
    /// Answered at once; the session ends after the transfer's own reply (RFC 959 §4.1.1 QUIT).
    Quit,
}

/// Replies that any command may get, whether its RFC lists them with it or not: 421 since the service may have to close at
/// any time (RFC 959 §4.2.2); 500, 501, 502, 503 and 504 for what was not understood, not offered or out of order; 530 for
/// a missing login; 451 for an error of the server itself; 533, 534 and 535 where a security policy refuses (RFC 2228 §5.1).
pub const ALWAYS_ALLOWED: &[u16] = &[421, 451, 500, 501, 502, 503, 504, 530, 533, 534, 535];

impl Verb {
    /// The row of a word or alias, letters of either case being the same (RFC 959 §5.3).
    pub fn find(word: &[u8]) -> Option<&'static Self> {
        VERBS.iter().find(|verb| {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            is(verb.word) || verb.aliases.iter().copied().any(is)
        })
    }

    /// Whether a reply with this code may answer it.
    pub fn allows(&self, code: u16) -> bool {
        [self.replies, self.beyond, ALWAYS_ALLOWED]
            .iter()
            .any(|codes| codes.contains(&code))
    }
}

impl PartialEq for Verb {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl Eq for Verb {}

/// Words of RFC 765, 743 and 754 that RFC 959 dropped (mail over FTP): known, never offered, 502 rather than 500.
pub(super) const RETIRED: &[&str] = &[
    "MAIL", "MLFL", "MRCP", "MRSQ", "MSAM", "MSND", "MSOM", "XRCP", "XRSQ", "XSEM", "XSEN",
];

/// Methods of HTTP (RFC 9110 §9, RFC 5789, RFC 9113 §3.4). A browser was tricked into talking to us, or somebody scans:
/// nothing after such a line may be executed.
pub(super) const HTTP_METHODS: &[&str] = &[
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PRI", "PUT", "TRACE",
];

const ANSWER: DuringTransfer = DuringTransfer::Answer;
const WAIT: DuringTransfer = DuringTransfer::Wait;

/// Replies of a command that carries data, RETR excepted by its 450 and 550 (RFC 959 §5.4); 521 and 522 where the
/// protection of the data connection is refused (RFC 4217; vsftpd 3).
const TRANSFER_BEYOND: &[u16] = &[450, 452, 521, 522, 532, 550, 551, 552, 553];
/// Errors of a file store that RFC 959 lists for some verbs and not for their neighbours.
const STORE: &[u16] = &[450, 452, 532, 550, 552, 553];

/// The word of the row that stands for a verb missing from the table; a test proves that it is never used.
pub(super) static UNLISTED: Verb = Verb {
    word: "",
    aliases: &[],
    syntax: "",
    example: "",
    needs_login: true,
    keeps_markers: false,
    during_transfer: WAIT,
    replies: &[],
    beyond: &[],
    rfc: "",
    help: "",
};

macro_rules! is {
    (login) => {
        true
    };
    (free) => {
        false
    };
    (keeps) => {
        true
    };
    (ends) => {
        false
    };
}

macro_rules! verbs {
    ($($word:ident $([$($alias:literal),+])? $syntax:literal, $example:literal, $login:ident, $markers:ident, $during:expr,
       $replies:expr, $beyond:expr, $rfc:literal, $help:literal;)+) => {
        /// The table, in the order of the RFCs.
        pub static VERBS: &[Verb] = &[$(Verb {
            word: stringify!($word),
            aliases: &[$($($alias),+)?],
            syntax: $syntax,
            example: $example,
            needs_login: is!($login),
            keeps_markers: is!($markers),
            during_transfer: $during,
            replies: $replies,
            beyond: $beyond,
            rfc: $rfc,
            help: $help,
        },)+];
    };
}

verbs! {
    // RFC 959 §4.1.1, access control
    USER "USER <SP> <username>", "USER anna", free, ends, WAIT,
        &[230, 232, 331, 332, 336], &[], "RFC 959 §4.1.1", "who logs in";
    PASS "PASS <SP> <password>", "PASS s3cret", free, ends, WAIT,
        &[202, 230, 332], &[], "RFC 959 §4.1.1", "the password, after USER";
    ACCT "ACCT <SP> <account-information>", "ACCT bureau", free, ends, WAIT,
        &[202, 230], &[], "RFC 959 §4.1.1", "an account besides the user name";
    CWD ["XCWD"] "CWD <SP> <pathname>", "CWD pub/linux", login, ends, WAIT,
        &[250, 550], &[450], "RFC 959 §4.1.1", "change the working directory";
    // §5.4 says 200, §4.1.1 says "identical to the reply codes of CWD": 250 is what servers send.
    CDUP ["XCUP"] "CDUP", "CDUP", login, ends, WAIT,
        &[200, 250, 550], &[450], "RFC 959 §4.1.1", "change to the parent directory";
    SMNT "SMNT <SP> <pathname>", "SMNT /volume", login, ends, WAIT,
        &[202, 250, 550], &[], "RFC 959 §4.1.1", "mount a file system";
    REIN "REIN", "REIN", free, ends, WAIT,
        &[120, 220], &[], "RFC 959 §4.1.1", "forget the user, keep the connection";
    QUIT "QUIT", "QUIT", free, ends, DuringTransfer::Quit,
        &[221], &[], "RFC 959 §4.1.1", "end the session";

    // RFC 959 §4.1.2, transfer parameters
    PORT "PORT <SP> <host-port>", "PORT 192,0,2,1,19,136", login, keeps, WAIT,
        &[200], &[], "RFC 959 §4.1.2", "the server shall open data connections to this address";
    PASV "PASV", "PASV", login, keeps, WAIT,
        &[227], &[425], "RFC 959 §4.1.2", "the server shall wait for the data connection";
    TYPE "TYPE <SP> <type-code>", "TYPE A N", login, keeps, WAIT,
        &[200], &[], "RFC 959 §4.1.2", "representation type: A, E, I or L n";
    STRU "STRU <SP> <structure-code>", "STRU F", login, keeps, WAIT,
        &[200], &[], "RFC 959 §4.1.2", "file structure: F, R or P";
    MODE "MODE <SP> <mode-code>", "MODE S", login, keeps, WAIT,
        &[200], &[], "RFC 959 §4.1.2", "transfer mode: S, B, C or Z";

    // RFC 959 §4.1.3, service
    RETR "RETR <SP> <pathname>", "RETR notes.txt", login, ends, WAIT,
        &[110, 125, 150, 226, 250, 425, 426, 450, 550], TRANSFER_BEYOND, "RFC 959 §4.1.3", "send a file to the user";
    STOR "STOR <SP> <pathname>", "STOR notes.txt", login, ends, WAIT,
        &[110, 125, 150, 226, 250, 425, 426, 450, 452, 532, 551, 552, 553], TRANSFER_BEYOND, "RFC 959 §4.1.3", "take a file from the user";
    STOU "STOU [<SP> <pathname>]", "STOU", login, ends, WAIT,
        &[110, 125, 150, 226, 250, 425, 426, 450, 452, 532, 551, 552, 553], TRANSFER_BEYOND, "RFC 959 §4.1.3, RFC 1123 §4.1.2.9", "take a file under a name of its own";
    APPE "APPE <SP> <pathname>", "APPE notes.txt", login, ends, WAIT,
        &[110, 125, 150, 226, 250, 425, 426, 450, 452, 532, 550, 551, 552, 553], TRANSFER_BEYOND, "RFC 959 §4.1.3", "take data and put them behind a file";
    ALLO "ALLO <SP> <bytes> [<SP> R <SP> <record-size>]", "ALLO 1000 R 80", login, keeps, WAIT,
        &[200, 202], &[452, 550, 552], "RFC 959 §4.1.3", "is there room for so many bytes";
    REST "REST <SP> <marker>", "REST 1048576", login, keeps, WAIT,
        &[350], &[], "RFC 959 §4.1.3, RFC 3659 §5", "the next transfer begins here";
    RNFR "RNFR <SP> <pathname>", "RNFR old.txt", login, ends, WAIT,
        &[350, 450, 550], &[553], "RFC 959 §4.1.3", "what to rename";
    RNTO "RNTO <SP> <pathname>", "RNTO new.txt", login, ends, WAIT,
        &[250, 532, 553], STORE, "RFC 959 §4.1.3", "the new name, right after RNFR";
    // 426 belongs to the aborted transfer; a transcript sees it in front of ABOR's own 226.
    ABOR "ABOR", "ABOR", free, ends, DuringTransfer::Abort,
        &[225, 226], &[426], "RFC 959 §4.1.3", "give up the transfer";
    DELE "DELE <SP> <pathname>", "DELE notes.txt", login, ends, WAIT,
        &[250, 450, 550], &[553], "RFC 959 §4.1.3", "delete a file";
    RMD ["XRMD"] "RMD <SP> <pathname>", "RMD old", login, ends, WAIT,
        &[250, 550], &[450, 553], "RFC 959 §4.1.3", "delete an empty directory";
    MKD ["XMKD"] "MKD <SP> <pathname>", "MKD new", login, ends, WAIT,
        &[257, 550], STORE, "RFC 959 §4.1.3", "make a directory";
    PWD ["XPWD"] "PWD", "PWD", login, ends, WAIT,
        &[257, 550], &[], "RFC 959 §4.1.3", "tell the working directory";
    LIST "LIST [<SP> <pathname>]", "LIST -a pub", login, ends, WAIT,
        &[125, 150, 226, 250, 425, 426, 450], TRANSFER_BEYOND, "RFC 959 §4.1.3", "list files for people";
    NLST "NLST [<SP> <pathname>]", "NLST *.txt", login, ends, WAIT,
        &[125, 150, 226, 250, 425, 426, 450], TRANSFER_BEYOND, "RFC 959 §4.1.3", "list names for programs";
    SITE "SITE <SP> <string>", "SITE CHMOD 644 notes.txt", login, ends, WAIT,
        &[200, 202], &[211, 213, 214, 250, 450, 550, 552, 553], "RFC 959 §4.1.3", "what only this server does";
    SYST "SYST", "SYST", free, ends, WAIT,
        &[215], &[], "RFC 959 §4.1.3", "the kind of system";
    STAT "STAT [<SP> <pathname>]", "STAT", login, keeps, ANSWER,
        &[211, 212, 213, 450], &[550, 553], "RFC 959 §4.1.3", "how the session or the transfer stands, or a listing";
    HELP "HELP [<SP> <string>]", "HELP RNFR", free, ends, WAIT,
        &[211, 214], &[], "RFC 959 §4.1.3", "this";
    NOOP "NOOP", "NOOP", free, ends, ANSWER,
        &[200], &[], "RFC 959 §4.1.3", "nothing";

    // RFC 1639
    LPRT "LPRT <SP> <long-host-port>", "LPRT 6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,1,2,19,136", login, keeps, WAIT,
        &[200, 521], &[], "RFC 1639", "PORT for long addresses";
    LPSV "LPSV", "LPSV", login, keeps, WAIT,
        &[228, 521], &[425], "RFC 1639", "PASV for long addresses";

    // RFC 2228, with RFC 4217
    AUTH "AUTH <SP> <mechanism-name>", "AUTH TLS", free, ends, WAIT,
        &[232, 234, 334, 431, 534], &[], "RFC 2228 §3, RFC 4217 §4", "begin a security mechanism";
    ADAT "ADAT <SP> <base64data>", "ADAT AAAA", free, ends, WAIT,
        &[235, 335, 535], &[], "RFC 2228 §3", "data of the security mechanism";
    PBSZ "PBSZ <SP> <decimal-integer>", "PBSZ 0", free, keeps, WAIT,
        &[200], &[], "RFC 2228 §3, RFC 4217", "size of a protection buffer";
    PROT "PROT <SP> <prot-code>", "PROT P", free, keeps, WAIT,
        &[200, 431, 534, 536], &[521], "RFC 2228 §3, RFC 4217", "protection of the data connection: C, S, E or P";
    CCC "CCC", "CCC", free, ends, WAIT,
        &[200, 533, 534], &[], "RFC 2228 §3, RFC 4217", "go on in clear on the control connection";
    MIC "MIC <SP> <base64data>", "MIC AAAA", free, ends, WAIT,
        &[533, 535, 537, 631], &[], "RFC 2228 §3", "a command with integrity";
    CONF "CONF <SP> <base64data>", "CONF AAAA", free, ends, WAIT,
        &[533, 535, 537, 633], &[], "RFC 2228 §3", "a command with confidentiality";
    ENC "ENC <SP> <base64data>", "ENC AAAA", free, ends, WAIT,
        &[533, 535, 537, 632], &[], "RFC 2228 §3", "a command with both";

    // RFC 2389
    FEAT "FEAT", "FEAT", free, ends, WAIT,
        &[211], &[], "RFC 2389 §3", "what the server can do beyond RFC 959";
    OPTS "OPTS <SP> <command-name> [<SP> <command-options>]", "OPTS MLST type;size;modify;", free, ends, WAIT,
        &[200, 451], &[202], "RFC 2389 §4", "options of a command";

    // RFC 2428
    EPRT "EPRT <SP> <d><net-prt><d><net-addr><d><tcp-port><d>", "EPRT |2|2001:db8::1|5000|", login, keeps, WAIT,
        &[200, 522], &[], "RFC 2428 §2", "PORT for IPv4 and IPv6";
    EPSV "EPSV [<SP> <net-prt> | <SP> ALL]", "EPSV 2", login, keeps, WAIT,
        &[229, 522], &[200, 425], "RFC 2428 §3", "PASV for IPv4 and IPv6";

    // RFC 2640
    LANG "LANG [<SP> <language-tag>]", "LANG en", free, ends, WAIT,
        &[200], &[], "RFC 2640 §4", "language of the replies";

    // RFC 3659
    MDTM "MDTM <SP> <pathname>", "MDTM notes.txt", login, ends, WAIT,
        &[213, 550], &[250, 253, 450, 553], "RFC 3659 §3", "when a file was modified; with a time in front, set it";
    SIZE "SIZE <SP> <pathname>", "SIZE notes.txt", login, ends, WAIT,
        &[213, 550], &[450, 553], "RFC 3659 §4", "how many bytes a transfer would carry";
    MLST "MLST [<SP> <pathname>]", "MLST notes.txt", login, ends, WAIT,
        &[250, 550], &[450, 553], "RFC 3659 §7", "facts about one name, on the control connection";
    MLSD "MLSD [<SP> <pathname>]", "MLSD pub", login, ends, WAIT,
        &[125, 150, 226, 250, 425, 426, 450, 550], TRANSFER_BEYOND, "RFC 3659 §7", "facts about everything in a directory";

    // RFC 7151
    HOST "HOST <SP> <hostname>", "HOST ftp.example.com", free, ends, WAIT,
        &[220], &[], "RFC 7151 §3", "which of the hosts of this server is meant";

    // draft-somers-ftp-mfxx
    MFMT "MFMT <SP> <time-val> <SP> <pathname>", "MFMT 20260101120000 notes.txt", login, ends, WAIT,
        &[213, 550], &[450, 553], "draft-somers-ftp-mfxx-04 §3", "set when a file was modified";
    MFCT "MFCT <SP> <time-val> <SP> <pathname>", "MFCT 20260101120000 notes.txt", login, ends, WAIT,
        &[213, 550], &[450, 553], "draft-somers-ftp-mfxx-04 §4", "set when a file was created";
    MFF "MFF <SP> <facts> <SP> <pathname>", "MFF modify=20260101120000;UNIX.mode=0644; notes.txt", login, ends, WAIT,
        &[213, 550], &[450, 553], "draft-somers-ftp-mfxx-04 §5", "set facts of a file";

    // draft-bryan-ftpext-hash, and the verbs of ProFTPD's mod_digest, GlobalSCAPE and Serv-U
    HASH "HASH <SP> <pathname>", "HASH notes.txt", login, ends, WAIT,
        &[213, 550], &[450, 553], "draft-bryan-ftpext-hash-02 §3", "a digest of a file; OPTS HASH chooses which";
    RANG "RANG <SP> <first> <SP> <last>", "RANG 0 99", login, ends, WAIT,
        &[350], &[], "draft-bryan-ftp-range-08 §3", "the bytes that the next HASH is about; 1 0 takes it back";
    XCRC "XCRC <SP> <pathname> | <quoted-pathname> [<SP> <start> [<SP> <end>]]", "XCRC notes.txt", login, ends, WAIT,
        &[250, 550], &[450, 553], "no RFC; many servers", "CRC-32 of a file";
    XMD5 "XMD5 <SP> <pathname> | <quoted-pathname> [<SP> <start> [<SP> <end>]]", "XMD5 notes.txt", login, ends, WAIT,
        &[250, 550], &[450, 553], "no RFC; many servers", "MD5 of a file";
    XSHA1 ["XSHA"] "XSHA1 <SP> <pathname> | <quoted-pathname> [<SP> <start> [<SP> <end>]]", "XSHA1 notes.txt", login, ends, WAIT,
        &[250, 550], &[450, 553], "no RFC; many servers", "SHA-1 of a file";
    XSHA256 "XSHA256 <SP> <pathname> | <quoted-pathname> [<SP> <start> [<SP> <end>]]", "XSHA256 notes.txt", login, ends, WAIT,
        &[250, 550], &[450, 553], "no RFC; many servers", "SHA-256 of a file";
    XSHA512 "XSHA512 <SP> <pathname> | <quoted-pathname> [<SP> <start> [<SP> <end>]]", "XSHA512 notes.txt", login, ends, WAIT,
        &[250, 550], &[450, 553], "no RFC; many servers", "SHA-512 of a file";

    // Not in an RFC; sent by many clients.
    CLNT "CLNT <SP> <string>", "CLNT lftp/4.9.2", free, ends, WAIT,
        &[200], &[], "no RFC; many clients", "the name of the client's program";
}
