//! A disk of a broker's own, which can be filled.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, in a file; it is gone when the value is dropped.
pub struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts one of this size at a folder, which takes root.
    pub fn mount(image: &Path, at: &Path, mib: u64) -> Disk {
        std::fs::create_dir_all(at).expect("a folder to mount it at");
        File::create(image).and_then(|file| file.set_len(mib << 20)).expect("a file for the disk");
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(image));
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(at));
        Disk { at: at.to_owned() }
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("there is room for a name");
        let zeros = vec![0; 1 << 16];
        // Down to the last block: a large write that does not fit is tried in small ones.
        for size in [zeros.len(), 512] {
            while ballast.write_all(&zeros[..size]).is_ok() {}
        }
    }

    pub fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
        // The file system gives blocks back some seconds later, unless it is asked to.
        run(Command::new("sync").arg("-f").arg(&self.at));
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(|status| status.success()),
        "a disk of its own takes root, mount and mkfs.ext4: {command:?}: {status:?}"
    );
}
