/* facula: train and measure image networks from the command line. */
#include "cli.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int command_version(void)
{
    printf("facula %s\n", fa_version());
    printf("instruction set: %s\n", fa_cpu_isa());
    printf("threads: %d\n", fa_get_num_threads());
    printf("back ends: cpu%s%s%s\n", fa_cuda_is_available() ? ", cuda" : " (no cuda: ", fa_cuda_reason(),
           fa_cuda_is_available() ? "" : ")");
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"train", command_train, "train an image classifier on a data set: facula train data/mnist"},
    {"check", command_check, "look at data and network before a training: facula check data/mnist"},
    {"predict", command_predict, "say what is in pictures: facula predict runs/mnist-001 digit.png"},
    {"inspect", command_inspect, "show what is in a model file: facula inspect model.pth"},
    {"convert", command_convert, "between .pth, .safetensors and .npy: facula convert model.pth model.safetensors"},
    {"bench", command_bench, "measure training or inference of a known network: facula bench --network mnist"},
    {"parity", command_parity, "compare with a recorded PyTorch run: facula parity RUN.json"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *file)
{
    fprintf(file,
            "facula trains image networks, as PyTorch does, on this machine's CPU.\n\nusage: facula COMMAND ...\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(file, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(file, "\n  --version  version, instruction set, threads and back ends\n"
                  "  --help     this help; `facula COMMAND --help` for a command's own\n");
}

/* A closed standard stream would give its number to the next file that is opened. */
static bool open_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0)
        return command_version();
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "facula: %s: no such command; `facula --help` lists them\n", argv[1]);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (!open_standard_streams())
        return 1;
    int status = run_command(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (status == 0)
            fprintf(stderr, "facula: error: standard output could not be written\n");
        return status != 0 ? status : 1;
    }
    return status;
}
