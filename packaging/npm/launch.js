// Starts a program of the package for this platform, in place of this process where Node can do that.
'use strict';
const fs = require('fs');
const path = require('path');

const { optionalDependencies } = require('./package.json');
const SCOPE = '@haldir/mcp-';
// What a terminal, a supervisor or an MCP client stops a program with. SIGUSR1 is Node's own.
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'];

function fail(problem) {
  process.stderr.write(`haldir-mcp: ${problem}\n`);
  process.exit(1);
}

function is(path) {
  try {
    return fs.statSync(path).isFile();
  } catch {
    return false;
  }
}

// Slow, so only asked when the package is missing.
function usesMusl() {
  return process.platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime;
}

function whyMissing(name) {
  if (!optionalDependencies[name]) {
    const known = Object.keys(optionalDependencies).map((one) => one.slice(SCOPE.length)).join(', ');
    return `there is no program for ${process.platform}-${process.arch}, only for ${known}. Build it from source: cargo install haldir`;
  }
  if (usesMusl()) {
    return 'the programs need the GNU C library, and this system has musl. Build haldir from source (cargo install haldir), or use an image with glibc, such as node:slim';
  }
  return `the package ${name} is not installed. It is an optional dependency of haldir-mcp: install again without --no-optional and --omit=optional, on the system that it runs on`;
}

// run(NAME) becomes the program NAME, with this process's arguments, environment, folder and standard streams.
exports.run = (name) => {
  const platform = `${SCOPE}${process.platform}-${process.arch}`;
  let folder;
  try {
    folder = path.dirname(require.resolve(`${platform}/package.json`));
  } catch {
    fail(whyMissing(platform));
  }
  const program = path.join(folder, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  if (!is(program)) fail(`${program} is missing: install haldir-mcp again`);
  const args = process.argv.slice(2);

  // Since Node 22.15, not on Windows. It ends the process if the program cannot be run, hence the check.
  if (process.execve) {
    try {
      fs.accessSync(program, fs.constants.X_OK);
    } catch (error) {
      fail(`cannot run the program: ${error.message}`);
    }
    process.execve(program, [program, ...args]);
  }

  const child = require('child_process').spawn(program, args, { stdio: 'inherit' });
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`cannot run the program: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    // The launcher ends by the same signal, so that its parent sees what it would have seen of the program.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
};
