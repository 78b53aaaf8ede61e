//! The baseline: a bare TCP server that writes what comes into files, as durably as the service does.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use crate::Failure;
use crate::photos::Photos;

/// As many as the service takes in one message.
const PIECE: usize = 64 * 1024;
/// The service flushes as often.
const SYNC_BYTES: usize = 8 * 1024 * 1024;

/// A running server. It ends with the process.
pub(crate) struct Server {
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self { address: listener.local_addr()? };
        let folder = folder.to_owned();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let folder = folder.clone();
                thread::spawn(move || {
                    if let Err(error) = receive(stream, &folder, number) {
                        crate::progress(&format!("the plain server failed: {error}"));
                    }
                });
            }
        });
        Ok(server)
    }

    /// Copies every photo, over so many connections.
    pub(crate) fn copy(&self, photos: &Photos, lanes: usize) -> Result<(), Failure> {
        let sent: Vec<_> = (0..lanes)
            .map(|lane| {
                let (photos, address) = (photos.clone(), self.address);
                thread::spawn(move || send(address, &photos, lane, lanes))
            })
            .collect();
        for lane in sent {
            lane.join().map_err(|_| "a sender panicked")??;
        }
        Ok(())
    }
}

fn send(address: SocketAddr, photos: &Photos, lane: usize, lanes: usize) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    for photo in photos.all().iter().skip(lane).step_by(lanes) {
        stream.write_all(&(photo.content.len() as u64).to_be_bytes())?;
        for piece in photo.content.chunks(PIECE) {
            stream.write_all(piece)?;
        }
        let mut durable = [0];
        stream.read_exact(&mut durable)?;
    }
    Ok(())
}

fn receive(mut stream: TcpStream, folder: &Path, connection: usize) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut piece = vec![0; PIECE];
    for number in 0.. {
        let mut length = [0; 8];
        if stream.read_exact(&mut length).is_err() {
            break;
        }
        let mut left = usize::try_from(u64::from_be_bytes(length))?;
        let name = format!("{connection}-{number}");
        let staged = folder.join(format!("{name}.part"));
        let mut file = File::create(&staged)?;
        let mut unsynced = 0;
        while left != 0 {
            let most = left.min(PIECE);
            let read = stream.read(&mut piece[..most])?;
            if read == 0 {
                return Err("cut".into());
            }
            file.write_all(&piece[..read])?;
            left -= read;
            unsynced += read;
            if SYNC_BYTES <= unsynced {
                file.sync_data()?;
                unsynced = 0;
            }
        }
        file.sync_data()?;
        fs::rename(&staged, folder.join(name))?;
        File::open(folder)?.sync_all()?;
        stream.write_all(&[1])?;
    }
    Ok(())
}
