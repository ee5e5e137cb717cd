//! The list as a table of lines, the file with its permissions, and what holds for all bytes.

use super::*;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

/// A file of users in a folder of its own.
struct File {
    folder: TempDir,
}

impl File {
    fn with(text: &[u8]) -> Self {
        let file = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("users")
    }

    fn write(&self, text: &[u8]) {
        fs::write(self.path(), text).unwrap();
        self.allow(0o600);
    }

    fn allow(&self, mode: u32) {
        fs::set_permissions(self.path(), Permissions::from_mode(mode)).unwrap();
    }

    fn read(&self) -> Result<Users, UsersError> {
        Users::read(&[], Some(self.path()))
    }

    /// What is said about the file, without its path.
    fn complaint(&self) -> String {
        let sentence = self.read().unwrap_err().to_string();
        let begin = format!("the user file {}", self.path().display());
        let (_, complaint) = sentence.split_once(&begin).expect(&sentence);
        complaint.to_owned()
    }
}

fn name(users: &Users, name: &[u8], password: &[u8]) -> Result<String, Wrong> {
    users.check(name, password).map(|user| user.to_string())
}

#[test]
fn a_file_is_read_line_by_line() {
    let long = [b'x'; 255];
    let lines: [&[u8]; 8] = [
        b"# who may come\n",
        b"\n",
        b"alice:secret\n",
        b"bob:with:colons: and blanks \r\n",
        b" \t \n",
        b"z\xff:not UTF-8\n",
        &[&long[..], b":", &long, b"\n"].concat(),
        b"#alice:another",
    ];
    let users = File::with(&lines.concat()).read().unwrap();
    let table: [(&[u8], &[u8], &str); 4] = [
        (b"alice", b"secret", "alice"),
        (b"bob", b"with:colons: and blanks ", "bob"),
        (b"z\xff", b"not UTF-8", "z\u{fffd}"),
        (&long, &long, &"x".repeat(255)),
    ];
    for (user, password, shown) in table {
        assert_eq!(name(&users, user, password).as_deref(), Ok(shown));
    }
    let wrong: [(&[u8], &[u8]); 7] = [
        (b"alice", b"another"),
        (b"alice", b""),
        (b"alice", b"secret\0"),
        (b"Alice", b"secret"),
        (b"#alice", b"another"),
        (b"", b""),
        (&long, &[b'x'; 256]),
    ];
    for (user, password) in wrong {
        assert!(name(&users, user, password).is_err(), "{user:?}");
    }
}

#[test]
fn a_malformed_line_is_named_by_its_number() {
    let long = "x".repeat(256);
    let table = [
        (
            "alice",
            ", line 1: there is no colon between the name and the password",
        ),
        (
            "# a\n\nalice secret\n",
            ", line 3: there is no colon between the name and the password",
        ),
        (":secret", ", line 1: the name is empty"),
        ("alice:", ", line 1: the password is empty"),
        ("alice:\r\n", ", line 1: the password is empty"),
        (
            &format!("a:b\n{long}:b"),
            ", line 2: the name has more than 255 bytes",
        ),
        (
            &format!("a:{long}"),
            ", line 1: the password has more than 255 bytes",
        ),
        (
            "a:b\nb:c\na:d\n",
            ", line 3: the name has a password already",
        ),
        ("", " has no user"),
        ("# only\n", " has no user"),
    ];
    for (text, complaint) in table {
        assert_eq!(
            File::with(text.as_bytes()).complaint(),
            complaint,
            "{text:?}"
        );
    }
}

#[test]
fn a_file_that_others_may_open_is_refused() {
    let file = File::with(b"alice:secret\n");
    for mode in [0o400, 0o600, 0o700] {
        file.allow(mode);
        assert!(file.read().is_ok(), "{mode:o}");
    }
    for mode in [0o640, 0o604, 0o660, 0o602, 0o644, 0o666] {
        file.allow(mode);
        let complaint = file.complaint();
        let begin = format!(": its permissions {mode:04o} are too open");
        assert!(complaint.starts_with(&begin), "{complaint}");
    }
}

#[test]
fn what_is_no_small_regular_file_is_refused() {
    let file = File::with(&vec![b'#'; 1024 * 1024 + 1]);
    assert_eq!(file.complaint(), ": it has more than 1 MiB");
    fs::remove_file(file.path()).unwrap();
    assert!(file.complaint().starts_with(": No such file"));
    fs::create_dir(file.path()).unwrap();
    assert_eq!(file.complaint(), ": it is not a regular file");
    let device = Users::read(&[], Some(Path::new("/dev/zero").to_owned()));
    assert!(
        device
            .unwrap_err()
            .to_string()
            .ends_with("is not a regular file")
    );
}

#[test]
fn a_user_of_the_command_line_is_shown_by_no_error() {
    let table: [(&[u8], &str); 4] = [
        (b"secret", "there is no colon"),
        (b":secret", "the name is empty"),
        (b"secret:", "the password is empty"),
        (
            &[b"a:".as_slice(), &[b's'; 256]].concat(),
            "more than 255 bytes",
        ),
    ];
    for (given, words) in table {
        let sentence = Users::read(&[given], None).unwrap_err().to_string();
        assert!(sentence.contains(words), "{sentence}");
        assert!(
            !sentence.contains("secret") && !sentence.contains("sss"),
            "{sentence}"
        );
    }
    let file = File::with(b"alice:another\n");
    let twice = Users::read(&[b"alice:secret"], Some(file.path()));
    assert!(matches!(
        twice,
        Err(UsersError::Line {
            line: 1,
            flaw: Flaw::Again,
            ..
        })
    ));
    let shown = format!("{:?}", Users::read(&[b"alice:swordfish"], None).unwrap());
    assert!(!shown.contains("swordfish"), "{shown}");
}

#[test]
fn a_file_that_is_read_again_replaces_the_users_unless_it_is_broken() {
    let file = File::with(b"alice:secret\n");
    let users = Users::read(&[b"root:given"], Some(file.path())).unwrap();
    assert!(users.have_file() && !Users::read(&[b"a:b"], None).unwrap().have_file());
    let other = users.clone();
    file.write(b"bob:secret\ncarol:secret\n");
    assert_eq!(users.read_again().unwrap(), 3);
    assert_eq!(name(&other, b"alice", b"secret"), Err(Wrong::Name));
    for broken in ["bob", "", "a:b\na:c"] {
        file.write(broken.as_bytes());
        assert!(users.read_again().is_err(), "{broken:?}");
    }
    file.write(b"mallory:secret\n");
    file.allow(0o644);
    assert!(users.read_again().is_err());
    for who in ["bob", "carol"] {
        assert_eq!(name(&other, who.as_bytes(), b"secret").as_deref(), Ok(who));
    }
    assert_eq!(name(&other, b"root", b"given").as_deref(), Ok("root"));
}

#[test]
fn the_log_shows_no_unknown_name_and_no_control_character() {
    let users = Users::read(&[b"a\nb\x1b:secret"], None).unwrap();
    assert_eq!(
        name(&users, b"a\nb\x1b", b"secret").as_deref(),
        Ok("a\\nb\\u{1b}")
    );
    let wrong = name(&users, b"a\nb\x1b", b"guess").unwrap_err().to_string();
    assert!(
        wrong.contains("a\\nb") && !wrong.contains("guess"),
        "{wrong}"
    );
    let unknown = name(&users, b"secret", b"a").unwrap_err().to_string();
    assert!(!unknown.contains("secret"), "{unknown}");
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in any::<Vec<u8>>(), colons in any::<Vec<u8>>()) {
        let mut list = List::default();
        let _ = list.add_file(&text);
        let text: Vec<u8> = colons.iter().map(|byte| b"a:\n#\r"[usize::from(byte % 5)]).collect();
        let _ = List::default().add_file(&text);
    }

    #[test]
    fn a_user_is_found_by_its_own_name_and_password_alone(
        name in "[^:#\r\n][^:\r\n]{0,20}", password in "[^\r\n]{1,20}",
        other_name in any::<Vec<u8>>(), other_password in any::<Vec<u8>>(),
    ) {
        prop_assume!(!name.trim().is_empty());
        let mut list = List::default();
        list.add_file(format!("# first\n{name}:{password}\n").as_bytes()).unwrap();
        prop_assert!(list.check(name.as_bytes(), password.as_bytes()).is_ok());
        let same = (name.as_bytes(), password.as_bytes()) == (&other_name[..], &other_password[..]);
        prop_assert_eq!(list.check(&other_name, &other_password).is_ok(), same);
        prop_assert_eq!(list.check(name.as_bytes(), &other_password).is_ok(), password.as_bytes() == other_password);
    }
}
