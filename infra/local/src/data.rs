//! Where data is kept: a folder, or nowhere.
//!
//! Promises: one local cloud at a time uses a folder, and a reset deletes only files that a local cloud wrote. Nobody but the user
//! can read a file in it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// The tables.
const ENGINE_FILE: &str = "dynamodb.db";
/// Deliveries, queues and checkpoints.
const CLOUD_FILE: &str = "cloud.db";
/// What functions log.
const LOG_FOLDER: &str = "logs";
/// What tokens are signed with.
const SIGNING_KEY_FILE: &str = "signing-key.der";
/// Held while a local cloud runs.
const LOCK_FILE: &str = "lock";
/// The user's own folder.
const PRIVATE_FOLDER: u32 = 0o700;
/// The user's own file.
const PRIVATE_FILE: u32 = 0o600;
/// `SQLite` keeps up to three files for a database.
const SQLITE_SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Where data is kept.
#[derive(Debug)]
pub enum Data {
    /// In this process. The name keeps several apart in one process, as in tests.
    Memory(Uuid),
    /// In a folder, with the lock that keeps others out.
    Folder { path: PathBuf, _lock: File },
}

impl Data {
    /// Data that goes when the process goes.
    pub fn in_memory() -> Self {
        Self::Memory(Uuid::new_v4())
    }

    /// Data in the folder `path`, which is made where it does not exist, and emptied first for a `reset`.
    pub fn in_folder(path: &Path, reset: bool) -> Result<Self, String> {
        let explain = |error: io::Error| format!("cannot use the data folder {}: {error}", path.display());
        make_folder(path).map_err(explain)?;
        let lock = open_private(&path.join(LOCK_FILE)).map_err(explain)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.display();
                return Err(format!(
                    "another local cloud is using the data folder {path}; stop it, or choose one with --data-dir"
                ));
            }
            Err(TryLockError::Error(error)) => return Err(explain(error)),
        }
        if reset {
            delete_data(path).map_err(explain)?;
        }
        make_folder(&path.join(LOG_FOLDER)).map_err(explain)?;
        make_files_private(path).map_err(explain)?;
        Ok(Self::Folder { path: path.to_owned(), _lock: lock })
    }

    /// What `SQLite` opens for the engine.
    pub fn engine_file(&self) -> String {
        self.sqlite_file(ENGINE_FILE)
    }

    /// What `SQLite` opens for the rest.
    pub fn cloud_file(&self) -> String {
        self.sqlite_file(CLOUD_FILE)
    }

    /// Where `function` logs to.
    pub fn log_file(&self, function: &str) -> Option<PathBuf> {
        match self {
            Self::Memory(_) => None,
            Self::Folder { path, .. } => Some(path.join(LOG_FOLDER).join(format!("{function}.log"))),
        }
    }

    /// Where the key that signs tokens is kept.
    pub fn signing_key_file(&self) -> Option<PathBuf> {
        match self {
            Self::Memory(_) => None,
            Self::Folder { path, .. } => Some(path.join(SIGNING_KEY_FILE)),
        }
    }

    /// For the start screen.
    pub fn describe(&self) -> String {
        match self {
            Self::Memory(_) => "in memory, gone at the end".to_owned(),
            Self::Folder { path, .. } => path.display().to_string(),
        }
    }

    fn sqlite_file(&self, name: &str) -> String {
        match self {
            // A shared cache, so that a second connection sees the same data.
            Self::Memory(id) => format!("file:{id}-{name}?mode=memory&cache=shared"),
            Self::Folder { path, .. } => path.join(name).display().to_string(),
        }
    }
}

/// Makes a folder that is the user's alone. One that exists becomes so as well, unless it is not for our files only.
fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(path)?;
    let is_ours = |name: &str| [LOCK_FILE, LOG_FOLDER].contains(&name) || data_files().any(|file| file == name);
    let is_log = |name: &str| path.ends_with(LOG_FOLDER) && is_log(Path::new(name));
    for entry in fs::read_dir(path)? {
        if !entry?.file_name().to_str().is_some_and(|name| is_ours(name) || is_log(name)) {
            return Ok(());
        }
    }
    fs::set_permissions(path, Permissions::from_mode(PRIVATE_FOLDER))
}

/// Makes all data the user's alone: what an earlier version left open to others, and databases before `SQLite` would make them
/// by the user's umask. It gives the files beside a database the database's permissions.
fn make_files_private(folder: &Path) -> io::Result<()> {
    for database in [ENGINE_FILE, CLOUD_FILE] {
        open_private(&folder.join(database))?;
    }
    let databases = data_files().map(|file| folder.join(file));
    for file in databases.chain(log_files(folder)?) {
        match fs::set_permissions(file, Permissions::from_mode(PRIVATE_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Opens a file, which becomes the user's alone where it is made.
pub fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(PRIVATE_FILE).open(path)
}

/// Everything in the folder but the lock and the logs.
fn data_files() -> impl Iterator<Item = String> {
    let databases = [ENGINE_FILE, CLOUD_FILE];
    let files = databases.into_iter().flat_map(|file| SQLITE_SUFFIXES.map(|suffix| format!("{file}{suffix}")));
    files.chain([SIGNING_KEY_FILE.to_owned()])
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

fn log_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder.join(LOG_FOLDER)).into_iter().flatten();
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    Ok(paths.into_iter().filter(|path| is_log(path)).collect())
}

fn delete_data(folder: &Path) -> io::Result<()> {
    for file in data_files() {
        match fs::remove_file(folder.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    log_files(folder)?.into_iter().try_for_each(fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_used_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Data::in_folder(folder.path(), false).unwrap();
        assert!(Data::in_folder(folder.path(), true).unwrap_err().contains("another local cloud"));
        drop(first);
        assert!(Data::in_folder(folder.path(), false).is_ok());
    }

    #[test]
    fn a_reset_deletes_nothing_but_data() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["cloud.db-wal", "signing-key.der", "precious.txt"] {
            fs::write(folder.path().join(file), "x").unwrap();
        }
        Data::in_folder(folder.path(), true).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["cloud.db", "dynamodb.db", "lock", "logs", "precious.txt"]);
        assert_eq!(fs::read(folder.path().join("cloud.db")).unwrap(), b"");
    }

    /// The permissions of a file or folder.
    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn nobody_else_can_read_the_data_even_of_an_earlier_version() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("made").join("anew");
        drop(Data::in_folder(&folder, false).unwrap());
        assert_eq!((mode(&folder), mode(&folder.join("logs"))), (0o700, 0o700));

        // As earlier versions left it.
        set_mode(&folder, 0o755);
        set_mode(&folder.join("logs"), 0o755);
        let files = ["dynamodb.db", "dynamodb.db-wal", "cloud.db", "cloud.db-shm", "signing-key.der", "logs/f.log"];
        for file in files {
            fs::write(folder.join(file), "x").unwrap();
            set_mode(&folder.join(file), 0o644);
        }
        drop(Data::in_folder(&folder, false).unwrap());
        assert_eq!((mode(&folder), mode(&folder.join("logs"))), (0o700, 0o700));
        for file in files {
            assert_eq!(
                (mode(&folder.join(file)), fs::read(folder.join(file)).unwrap()),
                (0o600, b"x".to_vec()),
                "{file}"
            );
        }
    }

    #[test]
    fn databases_and_what_sqlite_keeps_beside_them_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let data = Data::in_folder(folder.path(), false).unwrap();
        let durable = crate::durable::Durable::open(&data.cloud_file()).unwrap();
        durable.secret("s", "value").unwrap();
        let made: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let files: Vec<_> = made.iter().filter(|path| path.is_file()).collect();
        assert!(files.len() >= 4, "{files:?}");
        for file in files {
            assert_eq!(mode(file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn a_folder_with_other_things_in_it_stays_as_it_is_but_the_data_in_it_is_private() {
        let folder = tempfile::tempdir().unwrap();
        set_mode(folder.path(), 0o755);
        fs::write(folder.path().join("precious.txt"), "x").unwrap();
        set_mode(&folder.path().join("precious.txt"), 0o644);
        drop(Data::in_folder(folder.path(), false).unwrap());
        assert_eq!((mode(folder.path()), mode(&folder.path().join("precious.txt"))), (0o755, 0o644));
        for private in ["dynamodb.db", "cloud.db", "lock"] {
            assert_eq!(mode(&folder.path().join(private)), 0o600, "{private}");
        }
    }
}
