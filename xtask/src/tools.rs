//! Programs and packages that only tests and the examples need: Node.js, npm packages, Python packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ask::ask;
use crate::checkout::Checkout;
use crate::command::run;
use crate::stop::Stop;

/// Makes sure that node and npm are there.
pub(crate) fn node() -> Result<(), Stop> {
    if let Some(version) = node_version() {
        println!("    Node.js {version}");
        return Ok(());
    }
    apt(&["nodejs", "npm"], "node and npm are not on PATH")?;
    match node_version() {
        Some(version) => {
            println!("    Node.js {version}");
            Ok(())
        }
        None => Err(Stop::new("apt installed nodejs and npm, but they do not start: run `node --version` to see why")),
    }
}

fn node_version() -> Option<String> {
    let node = ask("node", &["--version"])?;
    let npm = ask("npm", &["--version"])?;
    Some(format!("{node}, npm {npm}"))
}

/// Installs the packages that `package-lock.json` of a folder lists, unless they are there.
pub(crate) fn npm_packages(checkout: &Checkout, folder: &Path) -> Result<(), Stop> {
    let lock = folder.join("package-lock.json");
    if !folder.join("package.json").is_file() {
        println!("    {} has no package.json: nothing to install", checkout.shown(folder));
        return Ok(());
    }
    let stamp = Stamp::new(&lock, folder.join("node_modules/.hookwright"))?;
    if stamp.holds() {
        println!("    {} is up to date", checkout.shown(folder));
        return Ok(());
    }
    run(Command::new("npm").current_dir(folder).args(["ci", "--no-audit", "--no-fund"]))?;
    stamp.set()
}

/// Makes a Python environment with the packages of `requirements.txt`, unless it is there.
pub(crate) fn python_packages(checkout: &Checkout) -> Result<(), Stop> {
    let list = checkout.clients().join("requirements.txt");
    if !list.is_file() {
        println!("    there is no {}: nothing to install", checkout.shown(&list));
        return Ok(());
    }
    let venv = checkout.venv();
    let stamp = Stamp::new(&list, venv.join(".hookwright"))?;
    if stamp.holds() {
        println!("    {} is up to date", checkout.shown(&venv));
        return Ok(());
    }
    python_itself()?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(python(checkout)).args(pip).arg(&list))?;
    stamp.set()
}

/// Makes sure that python3 with venv is there.
pub(crate) fn python_itself() -> Result<(), Stop> {
    if ask("python3", &["-c", "import ensurepip, venv"]).is_none() {
        apt(&["python3", "python3-venv"], "python3 with venv is missing")?;
    }
    Ok(())
}

/// The interpreter of that environment.
pub(crate) fn python(checkout: &Checkout) -> PathBuf {
    checkout.venv().join("bin/python")
}

/// Remembers for which list of packages a folder was filled.
struct Stamp {
    wanted: Vec<u8>,
    file: PathBuf,
}

impl Stamp {
    fn new(list: &Path, file: PathBuf) -> Result<Self, Stop> {
        let wanted = std::fs::read(list).map_err(|error| Stop::file(list, &error))?;
        Ok(Self { wanted, file })
    }

    fn holds(&self) -> bool {
        std::fs::read(&self.file).is_ok_and(|found| found == self.wanted)
    }

    fn set(&self) -> Result<(), Stop> {
        std::fs::write(&self.file, &self.wanted).map_err(|error| Stop::file(&self.file, &error))
    }
}

/// Installs Debian packages, as root or through `sudo -n`; otherwise says how to.
pub(crate) fn apt(packages: &[&str], missing: &str) -> Result<(), Stop> {
    let by_hand = format!("apt-get update && apt-get install -y {}", packages.join(" "));
    let Some(user) = ask("id", &["-u"]).filter(|_| ask("apt-get", &["--version"]).is_some()) else {
        return Err(Stop::new(format!("{missing}, and there is no apt-get here: install {}", packages.join(" and "))));
    };
    let root = user == "0";
    if !root && ask("sudo", &["-n", "true"]).is_none() {
        return Err(Stop::new(format!("{missing}. To install them, run as root: {by_hand}")));
    }
    println!("    {missing}: installing {}", packages.join(" and "));
    let apt_get = |arguments: &[&str]| {
        let mut command = if root { Command::new("apt-get") } else { Command::new("sudo") };
        if !root {
            command.args(["-n", "apt-get"]);
        }
        run(command.args(arguments).args(["-q", "-y"]).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt_get(&["update"])?;
    apt_get(&[&["install", "--no-install-recommends"], packages].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_valid_until_the_list_changes() {
        let folder = std::env::temp_dir().join(format!("hookwright-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (list, file) = (folder.join("list"), folder.join("stamp"));
        std::fs::write(&list, "one").unwrap();
        let stamp = Stamp::new(&list, file.clone()).unwrap();
        assert!(!stamp.holds());
        stamp.set().unwrap();
        assert!(stamp.holds());
        std::fs::write(&list, "two").unwrap();
        assert!(!Stamp::new(&list, file).unwrap().holds());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
