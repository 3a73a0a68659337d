// The payload of every contestant: a static program that ends at once.
int main() {
    return 0;
}
