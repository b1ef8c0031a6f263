//! Reads FreeSWITCH's configuration the way FreeSWITCH does: files that include files, and variables set on the way
//! (`X-PRE-PROCESS`, `$${name}`). Gives plain elements; knows nothing of users and gateways.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Includes inside includes: no configuration has that many, and a loop ends.
const DEPTH: usize = 16;
/// Files read at most.
const FILES: usize = 20_000;
/// The longest file read; those of FreeSWITCH have some KiB.
const LONGEST: u64 = 4 * 1024 * 1024;
/// The longest that variables may make a value: they can name each other.
const LONGEST_VALUE: usize = 4096;

/// An element, its variables filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: BTreeMap<String, String>,
    pub(super) children: Vec<Element>,
    /// Where it stands: the file within the folder, and the line.
    pub(super) place: String,
}

impl Element {
    /// The value of an attribute; `None` when it is absent or empty.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The children of this name.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The name and value of each `item` inside each `group`: `<params><param name="…" value="…"/></params>`.
    pub(super) fn settings(&self, group: &str, item: &str) -> BTreeMap<String, String> {
        let items = self.named(group).flat_map(|group| &group.children).chain(&self.children);
        let named = items.filter(|child| child.name == item);
        named
            .filter_map(|child| Some((child.attribute("name")?.to_owned(), child.attribute("value")?.to_owned())))
            .collect()
    }
}

/// Why a folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file or folder cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is no XML.
    #[error("{}: {error}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where and why.
        error: roxmltree::Error,
    },
    /// There is nothing to import.
    #[error("{}: has no XML files; expected FreeSWITCH's configuration folder (with directory/ and sip_profiles/)", .0.display())]
    Empty(PathBuf),
}

/// A configuration being read.
#[derive(Debug)]
pub(super) struct Reader {
    root: PathBuf,
    variables: BTreeMap<String, String>,
    seen: BTreeSet<PathBuf>,
    /// What was left out, in words.
    pub(super) notes: Vec<String>,
}

impl Reader {
    /// Reads everything that may name users and gateways: of a configuration folder `vars.xml`, `directory/` and `sip_profiles/`, of any
    /// other folder all its XML files.
    pub(super) fn read(folder: &Path) -> Result<(Vec<Element>, Self), FolderError> {
        let root = folder.canonicalize().map_err(|error| FolderError::Unreadable { path: folder.to_owned(), error })?;
        // The folder of the users alone still has its variables next to it.
        let is_directory = root.file_name().is_some_and(|name| name == "directory");
        let root = match root.parent() {
            Some(parent) if is_directory && parent.join("vars.xml").is_file() => parent.to_owned(),
            Some(_) | None => root,
        };
        let mut reader =
            Self { root: root.clone(), variables: BTreeMap::new(), seen: BTreeSet::new(), notes: Vec::new() };
        let mut elements = Vec::new();
        let mut places = vec![root.join("vars.xml"), root.join("directory")];
        if !is_directory {
            places.push(root.join("sip_profiles"));
        }
        if !places.iter().any(|place| place.is_dir()) {
            places.push(root.clone());
        }
        for place in places.iter().filter(|place| place.exists()) {
            for file in xml_files(place)? {
                elements.extend(reader.file(&file, 0)?);
            }
        }
        if reader.seen.is_empty() {
            return Err(FolderError::Empty(folder.to_owned()));
        }
        Ok((elements, reader))
    }

    /// The elements of a file; none when it has been read before.
    fn file(&mut self, path: &Path, depth: usize) -> Result<Vec<Element>, FolderError> {
        let unreadable = |error| FolderError::Unreadable { path: path.to_owned(), error };
        let path = path.canonicalize().map_err(unreadable)?;
        let unreadable = |error| FolderError::Unreadable { path: path.clone(), error };
        if !path.starts_with(&self.root) {
            self.notes.push(format!("{}: lies outside the folder and was not read", path.display()));
            return Ok(Vec::new());
        }
        if self.seen.contains(&path) {
            return Ok(Vec::new());
        }
        let length = std::fs::metadata(&path).map_err(unreadable)?.len();
        if depth > DEPTH || self.seen.len() >= FILES || length > LONGEST {
            self.notes.push(format!("{}: is too long, or included too deep, and was not read", self.place(&path)));
            return Ok(Vec::new());
        }
        self.seen.insert(path.clone());
        let text = std::fs::read_to_string(&path).map_err(unreadable)?;
        // Entities are not declared in any of these files, and would be a way to make little text into much.
        let document =
            roxmltree::Document::parse(&text).map_err(|error| FolderError::Malformed { path: path.clone(), error })?;
        let root = document.root_element();
        if matches!(root.tag_name().name(), "include" | "document") {
            self.children(root, &path, depth)
        } else {
            Ok(vec![self.element(root, &path, depth)?])
        }
    }

    fn children(
        &mut self,
        node: roxmltree::Node<'_, '_>,
        path: &Path,
        depth: usize,
    ) -> Result<Vec<Element>, FolderError> {
        let mut children = Vec::new();
        for child in node.children().filter(roxmltree::Node::is_element) {
            if child.tag_name().name() == "X-PRE-PROCESS" {
                children.extend(self.instruction(child, path, depth)?);
            } else {
                children.push(self.element(child, path, depth)?);
            }
        }
        Ok(children)
    }

    fn element(&mut self, node: roxmltree::Node<'_, '_>, path: &Path, depth: usize) -> Result<Element, FolderError> {
        let line = node.document().text_pos_at(node.range().start).row;
        let attributes = node.attributes().map(|a| (a.name().to_owned(), self.filled_in(a.value()))).collect();
        let place = format!("{}:{line}", self.place(path));
        let children = self.children(node, path, depth)?;
        Ok(Element { name: node.tag_name().name().to_owned(), attributes, children, place })
    }

    fn instruction(
        &mut self,
        node: roxmltree::Node<'_, '_>,
        path: &Path,
        depth: usize,
    ) -> Result<Vec<Element>, FolderError> {
        let data = self.filled_in(node.attribute("data").unwrap_or_default());
        match node.attribute("cmd").unwrap_or_default() {
            "set" => {
                if let Some((name, value)) = data.split_once('=') {
                    self.variables.insert(name.trim().to_owned(), value.to_owned());
                }
                Ok(Vec::new())
            }
            "include" => {
                let pattern = path.parent().unwrap_or(path).join(&data);
                let found = glob::glob(&pattern.to_string_lossy());
                let files: Vec<_> = found.into_iter().flatten().flatten().filter(|file| file.is_file()).collect();
                let mut elements = Vec::new();
                for file in files {
                    elements.extend(self.file(&file, depth + 1)?);
                }
                Ok(elements)
            }
            // `exec`, `env-set`, `stun-set`: what a running FreeSWITCH would find out.
            other => {
                self.notes.push(format!("{}: X-PRE-PROCESS {other} {data}: was not carried out", self.place(path)));
                Ok(Vec::new())
            }
        }
    }

    /// Fills in `$${name}`; a variable that nobody set stays as it is, so that whoever uses the value can tell.
    fn filled_in(&self, text: &str) -> String {
        let (mut done, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("$${") {
            let Some((name, after)) = after.split_once('}') else { break };
            done.push_str(before);
            match self.variables.get(name) {
                Some(value) if done.len() + value.len() <= LONGEST_VALUE => done.push_str(value),
                Some(_) | None => done.extend(["$${", name, "}"]),
            }
            rest = after;
        }
        done + rest
    }

    fn place(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// A file itself, or all XML files of a folder: its own before those of the folders in it, which they usually include.
fn xml_files(place: &Path) -> Result<Vec<PathBuf>, FolderError> {
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let unreadable = |error| FolderError::Unreadable { path: place.to_owned(), error };
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(place).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
        if kind.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == "xml") {
            files.push(path);
        }
    }
    files.sort();
    folders.sort();
    for folder in folders {
        files.extend(xml_files(&folder)?);
    }
    Ok(files)
}
