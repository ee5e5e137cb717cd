// The far end of a link, on npm's multiplex: what the library does, against which our wire of that name is tested.
//
//   node multiplex.js serve                   listens, and serves the streams of a client's end
//   node multiplex.js echo PORT STREAMS BYTES connects to a server's end, and gets back what it sends
//   node multiplex.js destroy PORT            destroys a channel, and uses its number again
'use strict'

const crypto = require('crypto')
const net = require('net')
const multiplex = require('multiplex')

// With halfOpen, an end of the other side is not answered with an end of our own.
const options = { halfOpen: true }

// The first byte of a stream says what to do with it: e sends everything back, c counts it and answers after the end,
// x destroys the channel.
function serveStream (stream) {
  let kind
  let count = 0
  stream.on('error', () => {})
  stream.on('data', chunk => {
    kind = kind || String.fromCharCode(chunk[0])
    count += chunk.length
    if (kind === 'x') return stream.destroy(new Error('boom'))
    if (kind === 'e' && !stream.write(chunk)) {
      stream.pause()
      stream.once('drain', () => stream.resume())
    }
  })
  stream.on('end', () => stream.end(kind === 'c' ? String(count) : undefined))
}

function serve () {
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.pipe(multiplex(options, serveStream)).pipe(socket)
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`))
}

function connect (port) {
  const socket = net.connect(port, '127.0.0.1')
  const plex = multiplex(options)
  socket.pipe(plex).pipe(socket)
  socket.on('close', () => fail('the link is lost'))
  return plex
}

function fail (reason) {
  console.error(reason)
  process.exit(1)
}

function succeed (line) {
  process.stdout.write(line + '\n', () => process.exit(0))
}

function echo (plex, streams, bytes) {
  let open = streams
  for (let index = 0; index < streams; index++) {
    const sent = crypto.randomBytes(bytes)
    const received = crypto.createHash('sha256')
    const stream = plex.createStream()
    stream.on('error', error => fail(`stream ${index}: ${error.message}`))
    stream.on('data', chunk => received.update(chunk))
    stream.on('end', () => {
      const expected = crypto.createHash('sha256').update(sent)
      if (received.digest('hex') !== expected.digest('hex')) fail(`stream ${index}: other bytes have come back`)
      open -= 1
      if (open === 0) succeed(`${streams} streams`)
    })
    for (let start = 0; start < bytes; start += 50000) stream.write(sent.slice(start, start + 50000))
    stream.end()
  }
}

function destroy (plex) {
  const first = plex.createStream()
  first.write('gone')
  first.once('data', () => {
    first.destroy(new Error('boom'))
    const second = plex.createStream()
    if (second.channel !== first.channel) fail('the number is not used again')
    second.write('again')
    second.once('data', chunk => succeed(chunk.toString()))
  })
}

const [command, port, ...sizes] = process.argv.slice(2)
switch (command) {
  case 'serve': serve(); break
  case 'echo': echo(connect(port), ...sizes.map(Number)); break
  case 'destroy': destroy(connect(port)); break
  default: fail(`there is no command ${command}`)
}
