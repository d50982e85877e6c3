// What programs for Node.js do.
const { Worker, isMainThread, parentPort } = require('worker_threads');
const assert = require('assert'), childProcess = require('child_process'), cluster = require('cluster');
const crypto = require('crypto'), dgram = require('dgram'), dns = require('dns'), events = require('events');
const fs = require('fs'), http = require('http'), net = require('net'), os = require('os'), zlib = require('zlib');

async function get(url) {
    const [response] = await events.once(http.get(url), 'response');
    let body = '';
    for await (const part of response) body += part;
    return body;
}

async function threads() {
    const [sum] = await events.once(new Worker(__filename), 'message');
    assert.equal(sum, 499500);
}

async function network() {
    const server = http.createServer((_, response) => response.end('hi')).listen(0);
    await events.once(server, 'listening');
    const { port } = server.address();
    assert.equal(await get(`http://127.0.0.1:${port}`), 'hi');
    assert.equal(await get(`http://[::1]:${port}`), 'hi');
    server.close();
    const local = net.createServer((socket) => socket.end('x')).listen('/tmp/socket');
    await events.once(net.connect('/tmp/socket').resume(), 'close');
    local.close();
    const datagrams = dgram.createSocket('udp4').bind(0, '127.0.0.1');
    await events.once(datagrams, 'listening');
    datagrams.send('x', datagrams.address().port, '127.0.0.1');
    assert.equal((await events.once(datagrams, 'message'))[0].toString(), 'x');
    datagrams.close();
    assert.ok((await dns.promises.lookup('localhost')).address);
    assert.ok(os.networkInterfaces().lo);
}

async function files() {
    const folder = fs.mkdtempSync('/tmp/files');
    process.chdir(folder);
    const watch = fs.watch('.');
    fs.writeFileSync('a', 'text');
    await events.once(watch, 'change');
    watch.close();
    fs.mkdirSync('b/c', { recursive: true });
    await fs.promises.copyFile('a', 'd');
    fs.symlinkSync('a', 'e');
    fs.linkSync('a', 'f');
    fs.renameSync('d', 'g');
    fs.chmodSync('g', 0o600);
    fs.chownSync('g', 65534, 65534);
    fs.utimesSync('g', 1, 1);
    fs.truncateSync('g', 2);
    fs.fsyncSync(fs.openSync('a'));
    assert.equal(fs.readdirSync('.').length, 5);
    await events.once(fs.createReadStream('a').pipe(zlib.createGzip()).pipe(fs.createWriteStream('h')), 'finish');
    process.chdir('/');
    fs.rmSync(folder, { recursive: true });
}

async function processes() {
    assert.equal(childProcess.execSync('echo sub | cat').toString(), 'sub\n');
    const [code] = await events.once(childProcess.spawn('ls', ['/'], { stdio: 'ignore', detached: true }), 'exit');
    assert.equal(code, 0);
    const worker = cluster.fork();
    const [, address] = await events.once(cluster, 'listening');
    assert.equal(await get(`http://127.0.0.1:${address.port}`), 'worker');
    worker.kill();
    await events.once(worker, 'exit');
}

async function rest() {
    await crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
    crypto.pbkdf2Sync('a', 'b', 1000, 32, 'sha256');
    for (let round = 0, kept = []; round < 1e6; round++) kept.push([round]);
    new WebAssembly.Memory({ initial: 1 });
    os.setPriority(os.getPriority() + 1);
    assert.ok(os.cpus() && os.hostname() && os.userInfo().username && os.loadavg());
    process.on('SIGUSR2', () => {});
    process.kill(process.pid, 'SIGUSR2');
    await events.once(process, 'SIGUSR2');
}

async function main() {
    // Waiting for a signal alone would keep nothing alive.
    const alive = setInterval(() => {}, 1000);
    for (const part of [threads, network, files, processes, rest]) await part();
    clearInterval(alive);
    console.log('all done');
}

if (!isMainThread) {
    parentPort.postMessage([...Array(1000).keys()].reduce((one, other) => one + other));
} else if (cluster.isWorker) {
    http.createServer((_, response) => response.end('worker')).listen(0, '127.0.0.1');
} else {
    main().catch((error) => { console.log(error); process.exit(1); });
}
