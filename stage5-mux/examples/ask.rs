//! Sends standard input over a stream to a peer, and writes the answer to standard output. With a TARGET, the peer
//! connects the stream to it, or says why it does not.
//!
//! ```sh
//! stage5-mux server --via tcp-listen:127.0.0.1:9000 &
//! echo 'home = tcp:127.0.0.1:9000' >peers.txt
//! printf 'GET / HTTP/1.0\r\n\r\n' | cargo run -p stage5-mux --example ask -- peers.txt home localhost:3000
//! ```

use std::error::Error;
use std::io;
use std::thread;

use stage5_mux::tunnel::multiplexer::Multiplexer;
use stage5_mux::tunnel::transport::peers::Peers;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(peer)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ask PEERS_FILE PEER [TARGET]".into());
    };
    let connection = Multiplexer::new(Peers::read(file)?).connect(&peer)?;
    let mut answer = match arguments.next() {
        Some(target) => connection.open_to(&target.parse()?)?,
        None => connection.open()?,
    };
    // The question has a thread of its own, because the peer may answer before it is complete.
    let mut question = answer.try_clone()?;
    let asking = thread::spawn(move || {
        io::copy(&mut io::stdin(), &mut question)?;
        question.half_close()
    });
    // A stream that the peer does not connect says why, as connect(2) would.
    io::copy(&mut answer, &mut io::stdout()).map_err(|error| format!("no answer: {error}"))?;
    asking.join().map_err(|_| "the question was not sent")??;
    connection.close()?;
    Ok(())
}
