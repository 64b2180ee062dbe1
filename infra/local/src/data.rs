//! Where data is kept: a folder, or nowhere.
//!
//! Promises: one local cloud at a time uses a folder, and a reset deletes only files that a local cloud wrote.

use std::{
    fs::{self, File, TryLockError},
    io,
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
        fs::create_dir_all(path).map_err(explain)?;
        let lock = File::create(path.join(LOCK_FILE)).map_err(explain)?;
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
        fs::create_dir_all(path.join(LOG_FOLDER)).map_err(explain)?;
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

fn delete_data(folder: &Path) -> io::Result<()> {
    let files =
        [ENGINE_FILE, CLOUD_FILE].into_iter().flat_map(|file| SQLITE_SUFFIXES.map(|suffix| format!("{file}{suffix}")));
    for file in files.chain([SIGNING_KEY_FILE.to_owned()]) {
        match fs::remove_file(folder.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for entry in fs::read_dir(folder.join(LOG_FOLDER)).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
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
        for file in ["cloud.db", "dynamodb.db-wal", "signing-key.der", "precious.txt"] {
            fs::write(folder.path().join(file), "x").unwrap();
        }
        Data::in_folder(folder.path(), true).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["lock", "logs", "precious.txt"]);
    }
}
