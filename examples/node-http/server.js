// Answers every GET with what it runs on; /child with what a child process of the same program says.
'use strict';
const { execFile } = require('node:child_process');
const http = require('node:http');
const os = require('node:os');

const server = http.createServer((request, response) => {
    const answer = (status, text) => {
        response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
        response.end(text + '\n');
        console.log(`${request.method} ${request.url} ${status}`);
    };
    if (request.method !== 'GET') return answer(405, 'only GET');
    switch (request.url.split('?')[0]) {
        case '/':
            return answer(200, `hello from Node.js ${process.version} on ${os.hostname()}`);
        case '/child':
            return execFile(process.execPath, ['-p', 'process.version'], (error, stdout) =>
                error ? answer(500, error.message) : answer(200, `a child says ${stdout.trim()}`));
        default:
            return answer(404, 'not here');
    }
});
server.listen(Number(process.env.PORT), () => console.log(`listening on port ${process.env.PORT}`));
for (const signal of ['SIGTERM', 'SIGINT'])
    process.on(signal, () => {
        server.close();
        server.closeAllConnections();
    });
