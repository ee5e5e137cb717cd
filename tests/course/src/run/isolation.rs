//! How far a test can be shut in on this machine, from the strongest to the weakest.

use clap::ValueEnum;
use nix::sched::CloneFlags;
use nix::unistd::geteuid;

/// What stands between a test and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Isolation {
    /// Namespaces that root has made; the test itself runs as a user without rights.
    Root,
    /// Namespaces inside a user namespace (`user_namespaces(7)`): no right is needed.
    User,
    /// The same, where the kernel allows no second `/proc`: the test sees the processes of the machine.
    SharedProcesses,
    /// No namespace, but another user: root in a container.
    OtherUser,
    /// Limits only.
    Limits,
}

impl Isolation {
    /// Says it in words, for the people who read a report.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Root | Self::User => {
                "without a network (loopback only), on a read-only file system with a /tmp of its own, \
                 out of sight of other processes"
            }
            Self::SharedProcesses => {
                "without a network (loopback only), on a read-only file system with a /tmp of its own, \
                 but able to end other processes of whoever graded (the kernel hides no processes)"
            }
            Self::OtherUser => {
                "as a user without rights, but with the network and the files of this machine \
                 (the kernel allows no namespaces)"
            }
            Self::Limits => {
                "with the rights, the network and the files of whoever graded \
                 (the kernel allows no namespaces)"
            }
        }
    }

    /// The namespaces to make.
    pub(super) fn namespaces(self) -> CloneFlags {
        let shared = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC;
        match self {
            Self::Root => shared | CloneFlags::CLONE_NEWPID,
            Self::User => shared | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUSER,
            Self::SharedProcesses => shared | CloneFlags::CLONE_NEWUSER,
            Self::OtherUser | Self::Limits => CloneFlags::empty(),
        }
    }

    /// Whether processes of the test are in a namespace of their own, which dies with its first process.
    pub(super) fn hides_processes(self) -> bool {
        self.namespaces().contains(CloneFlags::CLONE_NEWPID)
    }

    /// Whether a test cannot send a signal to the processes of whoever grades (`kill(2)`).
    pub(super) fn protects_processes(self) -> bool {
        match self {
            Self::Root | Self::User | Self::OtherUser => true,
            Self::SharedProcesses | Self::Limits => false,
        }
    }

    /// Whether the kernel bounds the number of processes of the test, and of nobody else.
    ///
    /// In a user namespace it counts for that namespace (Linux 5.14), but it never bounds root, who has none of the others.
    pub(super) fn bounds_processes(self) -> bool {
        match self {
            Self::Root | Self::OtherUser => true,
            Self::User => !geteuid().is_root(),
            Self::SharedProcesses | Self::Limits => false,
        }
    }

    /// Returns whether only root can set it up.
    pub(super) fn needs_root(self) -> bool {
        matches!(self, Self::Root | Self::OtherUser)
    }
}
